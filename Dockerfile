# Every file that is downloaded is checked against requirements.lock in the first stage; the second installs from those files alone,
# without a network, and only what the product needs to run.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip download --quiet --no-cache-dir --only-binary=:all: --require-hashes --dest /wheels --requirement requirements.lock
COPY . .
RUN pip install --quiet --no-cache-dir --no-index --find-links /wheels hatchling django-htmx youplot \
    && pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --quiet --no-cache-dir --no-index --find-links /wheels loyalty \
    && useradd --system --uid 10001 --home-dir /var/lib/loyalty --create-home loyalty \
    && install --directory --owner 10001 --mode 0700 /var/lib/loyalty/keys
USER 10001
WORKDIR /var/lib/loyalty
ENV LOYALTY_DATA=/var/lib/loyalty/data LOYALTY_KEYS=/var/lib/loyalty/keys PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/loyalty/keys
EXPOSE 8000
ENTRYPOINT ["loyalty"]
CMD ["web", "--host", "0.0.0.0", "--port", "8000"]
