# test-image runs the tests against the image, with its own Python: `--target test-image`. What they
# need is installed for the interpreter that the program runs with.
FROM runtime-image AS test-image

USER 0
RUN --mount=type=bind,source=requirements/test.txt,target=/requirements-test.txt \
    --mount=type=cache,target=/root/.cache/pip \
    pip --python "$(command -v python)" install --require-hashes --requirement /requirements-test.txt

USER 10001:10001
WORKDIR /tmp
RUN --mount=type=bind,source=pyproject.toml,target=/project/pyproject.toml \
    --mount=type=bind,source=tests,target=/project/tests \
    python -m pytest -p no:cacheprovider --rootdir /project /project/tests

# What a build makes unless it is told otherwise.
FROM runtime-image
