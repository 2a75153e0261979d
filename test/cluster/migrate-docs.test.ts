/** The commands of docs/migrate, typed as those of docs/install.md are, where something is that can be moved from. */
import { installed, typing } from './docs-site.ts';

typing('docs/migrate/listener.md', {
  prepare: (site) => site.kubectl(['-n', site.home, 'apply', '-f', '-'], { input: listener }),
});
typing('docs/migrate/eventlistener.md', {
  triggers: true,
  prepare: async (site) => {
    await installed(site);
    await site.kubectl(['-n', site.team, 'apply', '-f', '-'], { input: eventListener });
  },
});
typing('docs/migrate/pipeline-trigger-operator.md', {
  prepare: (site) => site.kubectl(['-n', site.operator, 'apply', '-f', '-'], { input: operator }),
});

/** What the listener's chart leaves: a Secret, a Deployment and a Service of one name. Its pod does nothing here. */
const listener = `
apiVersion: v1
kind: Secret
metadata: { name: tekton-pipeline-listener }
stringData: { AUTH_USERNAME: ci, AUTH_PASSWORD: a-password-for-docs }
---
apiVersion: v1
kind: Service
metadata: { name: tekton-pipeline-listener }
spec:
  type: NodePort
  selector: { app: tekton-pipeline-listener }
  ports: [{ port: 8080, targetPort: 8080 }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: tekton-pipeline-listener }
spec:
  replicas: 0
  selector: { matchLabels: { app: tekton-pipeline-listener } }
  template:
    metadata: { labels: { app: tekton-pipeline-listener } }
    spec:
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: listener
          image: docker.io/library/busybox:1
          command: [sleep, '3600']
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
`;

/** A listener as people write it, with the Service that Tekton's controller has made for it. */
const eventListener = `
apiVersion: v1
kind: ServiceAccount
metadata: { name: builder }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: builder }
rules: [{ apiGroups: [tekton.dev], resources: [pipelineruns], verbs: [create] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: builder }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: builder }
subjects: [{ kind: ServiceAccount, name: builder }]
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: { name: build }
spec:
  serviceAccountName: builder
  triggers:
    - name: build
      bindings: [{ name: revision, value: $(body.revision) }]
      template:
        spec:
          params: [{ name: revision }]
          resourcetemplates:
            - apiVersion: tekton.dev/v1
              kind: PipelineRun
              metadata: { generateName: build- }
              spec:
                status: PipelineRunPending
                params: [{ name: revision, value: $(tt.params.revision) }]
                pipelineRef: { name: build }
---
apiVersion: v1
kind: Service
metadata: { name: el-build }
spec:
  selector: { eventlistener: build }
  ports: [{ name: http-listener, port: 8080, targetPort: 8080 }]
`;

/** The operator, as its manifests name it; its pod does nothing here. */
const operator = `
apiVersion: v1
kind: ServiceAccount
metadata: { name: pipeline-trigger-operator-controller-manager }
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: pipeline-trigger-operator-controller-manager
  labels: { control-plane: controller-manager }
spec:
  replicas: 1
  selector: { matchLabels: { control-plane: controller-manager } }
  template:
    metadata: { labels: { control-plane: controller-manager } }
    spec:
      serviceAccountName: pipeline-trigger-operator-controller-manager
      terminationGracePeriodSeconds: 1
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: manager
          image: docker.io/library/busybox:1
          command: [sleep, '3600']
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
`;
