{{/*
A role of k8s/ with its binding, in each of some namespaces or for the cluster. The files of k8s/ lie in the chart as they are
there, so that there is one list of rights.

root: the chart's context; file: below k8s/; namespaces: a list; cluster: whether for all instead; more: rules besides.
*/}}
{{- define "rungate.rights" -}}
{{- $root := .root -}}
{{- $role := $root.Files.Get (printf "k8s/%s" .file) | required (printf "The chart lacks k8s/%s." .file) | fromYaml -}}
{{- $name := printf "%s%s" (include "rungate.name" $root) (trimPrefix "rungate" $role.metadata.name) -}}
{{- $labels := merge (include "rungate.labels" $root | fromYaml) $role.metadata.labels -}}
{{- $rules := concat $role.rules (.more | default list) -}}
{{- $kind := ternary "ClusterRole" "Role" .cluster -}}
{{- range $namespace := ternary (list "") .namespaces .cluster }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
rules:
  {{- toYaml $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "rungate.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "rungate.name" $root }}
    namespace: {{ $root.Release.Namespace | quote }}
{{- end }}
{{- end -}}
