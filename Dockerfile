# rungate as an image: one stage installs and builds, the last one carries Node.js, rungate and nothing that installs.
#
#   docker build -t rungate:0.1.0 .
#   docker run --rm -p 8080:8080 --read-only --tmpfs /tmp --user "$(id -u)" -e PARTS=gateway -e NAMESPACE=default -e AUTH_USERNAME=ci -e AUTH_PASSWORD=secret -e KUBECONFIG=/kubeconfig -v "$HOME/.kube/config:/kubeconfig:ro" rungate:0.1.0
#
# NODE_IMAGE has Node.js 24 with npm; its `node` is the one that is carried. BASE_IMAGE has what that needs: glibc and
# libstdc++ of the same distribution. No command runs in it, so one without a shell will do.
ARG NODE_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs a script of its own. Half of what is installed are declarations and maps, which nothing reads at run time.
RUN npm ci --omit=dev --ignore-scripts \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
# The bill of materials is made by the very Node that is carried. Whoever runs it is not root, and the checkout may be its
# owner's alone.
RUN npm run build \
  && node release/main.ts sbom >sbom.cdx.json \
  && chmod -R a+rX bin dist k8s package.json LICENSE THIRD-PARTY-LICENSES.md sbom.cdx.json

FROM ${BASE_IMAGE}
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/package.json /app/LICENSE /app/THIRD-PARTY-LICENSES.md /app/sbom.cdx.json ./
COPY --from=build /app/bin bin
# What the sandbox of `rungate demo` serves.
COPY --from=build /app/k8s k8s
COPY --from=build /app/dist dist

ENV NODE_ENV=production
# Any other will do as well: everything is readable for everybody, and writable for nobody but root.
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "/app/bin/rungate.js"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/node", "/app/bin/rungate.js", "healthcheck"]

ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="rungate" \
  org.opencontainers.image.description="Tekton runs over plain HTTP: status and logs for whoever has no kubeconfig" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.source="${SOURCE}"
