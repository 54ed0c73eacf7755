# compile-image compiles the project. It contains only what the wheel is built from, so that a change to the tests,
# for example, does not rebuild this stage.
FROM requirements-image AS compile-image

# The patterns also match setup.cfg, MANIFEST.in and VERSION, if there are any.
COPY LICENSE README.md pyproject.toml setup.* MANIFEST.in* VERSION* /src/
COPY src /src/src
