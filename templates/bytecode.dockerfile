# Import the modules that the project imports: Python writes their bytecode, which the slim image does not contain. The
# program does not run as root and cannot write it, so each start would compile the standard library again. This step
# and its layer stay cached until the project imports other modules. A fixed hash seed and date make the layer
# reproducible.
RUN --mount=type=bind,from=compile-image,source=/imports.py,target=/imports.py \
    PYTHONHASHSEED=0 python /imports.py \
    && find /usr -newer /imports.py -exec touch --no-dereference --date @315532800 {} +
