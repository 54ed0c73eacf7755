# compile-image compiles the project. It contains only what the wheel is built from, so that a change to the tests,
# for example, does not rebuild this stage.
FROM requirements-image AS compile-image

COPY LICENSE README.md pyproject.toml setup.py /src/
COPY src /src/src
