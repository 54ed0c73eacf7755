# A requirement that cannot load, for want of a system library say, fails the build, not the first
# start. -B leaves no bytecode of the interpreter behind.
RUN ["python", "-B", "-c", "import fastapi, prometheus_client, pydantic_settings, uvicorn"]

