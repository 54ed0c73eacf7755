# Import the modules that the project imports, so that Python writes their bytecode, which the base image does not
# contain. Otherwise each start would compile these modules again, because the program is not root and cannot write
# bytecode. This step and its layer stay cached until the project imports other modules. A fixed hash seed and date make
# the layer reproducible.
RUN --mount=type=bind,from=compile-image,source=/imports.py,target=/imports.py \
    PYTHONHASHSEED=0 python /imports.py \
    && find /usr -newer /imports.py -exec touch --no-dereference --date @315532800 {} +
