# Only what the wheel is built from: an edit of the tests, say, changes nothing here.
COPY LICENSE README.md pyproject.toml requirements.in setup.py /src/
COPY src /src/src
