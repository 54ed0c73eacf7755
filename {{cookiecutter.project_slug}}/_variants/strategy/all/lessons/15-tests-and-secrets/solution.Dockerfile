# All stages use the same base image, because the virtualenv links to the interpreter that created it.
ARG BASE=python:3.14-slim

# compile-image installs the dependencies. No layer contains the password for the package index.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv --without-pip /opt/venv

WORKDIR /src
COPY requirements.txt .
# The secret is a file that exists only while this step runs. pip reads passwords from ~/.netrc.
RUN --mount=type=secret,id=netrc,target=/root/.netrc \
    pip --python /opt/venv install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip --python /opt/venv install --no-cache-dir --no-deps .

# runtime-image contains the program.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]

# test-image runs the tests in runtime-image. No other stage contains them.
FROM runtime-image AS test-image

COPY <<"EOF" /tests/test_hello.py
import subprocess
import unittest

class HelloTest(unittest.TestCase):
    def test_argument(self):
        output = subprocess.check_output(["hello", "Ada"], text=True)
        self.assertEqual(output, "Hello from C, Ada\n")
EOF

RUN python -m unittest discover --verbose --start-directory /tests

# The last stage is the default target of a build.
FROM runtime-image
# Mount a directory of test-image, so that this stage can be built only if the tests pass.
RUN --mount=type=bind,from=test-image,source=/tests,target=/tests true
