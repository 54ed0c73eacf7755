# project-image compiles the project, and has only what the wheel is built from: an edit of the tests,
# say, changes nothing here. Permissions are the same whoever made the checkout.
FROM compile-image AS project-image

COPY --chmod=u=rwX,go=rX LICENSE README.md pyproject.toml requirements.in setup.py /src/
COPY --chmod=u=rwX,go=rX src /src/src
