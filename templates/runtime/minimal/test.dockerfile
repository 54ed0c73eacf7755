# test-requirements contains, in /test, the tools of the tests and the shared libraries that they are linked with.
FROM slim-image AS test-requirements

# The new files are newer than the file that this step creates first.
RUN --mount=type=bind,source=requirements/test.txt,target=/requirements/test.txt \
    --mount=type=bind,source=deploy/minimal.py,target=/minimal.py \
    --mount=type=bind,from=compile-image,source=/packages,target=/packages \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=secret,id=pip,target=/root/.config/pip/pip.conf \
    touch /started \
    && HOME=/root pip --python "$(command -v python)" \
        install --require-hashes --requirement /requirements/test.txt \
    && xargs python -B /minimal.py /test </packages \
    && find /opt /usr/local -newer /started ! -type d -exec cp -P --parents --target-directory /test {} +

# test-image runs the tests in runtime-image, with the interpreter that runs the program: build it with
# `--target test-image`.
FROM runtime-image AS test-image

COPY --from=test-requirements /test /

# The tests run as the user of the program, in a directory where it may write. The project is mounted read-only, so
# pytest cannot write its cache there.
WORKDIR /tmp
ARG PYTEST_ADDOPTS
RUN --mount=type=bind,source=pyproject.toml,target=/project/pyproject.toml \
    --mount=type=bind,source=tests,target=/project/tests \
    ["python", "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", "/project", "/project/tests"]

# The last stage is the default target of a build.
FROM runtime-image
