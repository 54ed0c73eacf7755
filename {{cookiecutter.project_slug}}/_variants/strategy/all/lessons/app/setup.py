from setuptools import Extension, setup

setup(
    name="hello",
    version="1.0",
    package_dir={"": "src"},
    packages=["hello"],
    ext_modules=[Extension("hello._hello", ["src/hello/_hello.c"])],
    entry_points={"console_scripts": ["hello = hello.__main__:main"]},
)
