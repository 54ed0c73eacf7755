# test-requirements contains the tools of the tests, in /test. They are newer than the file that the step creates first.
FROM slim-image AS test-requirements

RUN --mount=type=bind,source=requirements/test.txt,target=/requirements/test.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=secret,id=pip,target=/root/.config/pip/pip.conf \
    touch /started \
    && HOME=/root pip --python "$(command -v python)" \
        install --require-hashes --requirement /requirements/test.txt \
    && mkdir /test \
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
