"""The workbook of strategy=all."""
