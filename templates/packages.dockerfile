# Install the libraries that compile-image found and the base image lacks; if there are none, this step does nothing.
# Delete caches and logs and date the files, because these differ between builds.
# hadolint ignore=DL3008
RUN --mount=type=bind,from=compile-image,source=/packages,target=/packages \
    xargs --no-run-if-empty dpkg-query --status </packages >/dev/null \
    || { apt-get update \
        && xargs apt-get install --yes --no-install-recommends </packages \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/*.log /var/cache/ldconfig/aux-cache \
        && find /etc /usr /var -newer /packages -writable -exec touch --no-dereference --date @315532800 {} +; }
