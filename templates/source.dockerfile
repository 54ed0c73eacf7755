# project-image compiles the project, and has only what the wheel is built from: an edit of the tests,
# say, changes nothing here.
FROM compile-image AS project-image

COPY LICENSE README.md pyproject.toml setup.py /src/
COPY src /src/src
