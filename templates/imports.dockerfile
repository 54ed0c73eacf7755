    && find /src/src -name '*.py' -exec \
        sed -nE 's/^ *(from|import) +([A-Za-z_][A-Za-z0-9_.]*).*/with suppress(Exception): import_module("\2")/p' {} + \
        >/imports.py \
    && echo 'from contextlib import suppress; from importlib import import_module' >>/imports.py \
    && sort --unique --output /imports.py /imports.py
