# minimal-base contains no shell, no package manager, and no programs but Python.
FROM scratch AS minimal-base

COPY --from=slim-image /minimal /
ENV PATH=/usr/local/bin:/usr/bin

# runtime-image is the final image: minimal-base, the dependencies, and the project.
FROM ${RUNTIME_BASE} AS runtime-image

