{{/* Names, labels, and what several templates ask. A release that is called rungate gets the names of k8s/. */}}

{{- define "rungate.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* What pods are chosen by: never to be changed, since a Deployment cannot change it. */}}
{{- define "rungate.selector" -}}
app.kubernetes.io/name: rungate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "rungate.labels" -}}
{{ include "rungate.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The head of an object in the release's namespace. Takes the chart's context, and what its name has behind the release's. */}}
{{- define "rungate.metadata" -}}
{{- $root := index . 0 -}}
metadata:
  name: {{ include "rungate.name" $root }}{{ index . 1 }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "rungate.labels" $root | nindent 4 }}
{{- end -}}

{{/* The Secret with callers: the one that is named, else ours. */}}
{{- define "rungate.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "rungate.name" .)) -}}
{{- end -}}

{{/* The key of that Secret with lines name:hash; empty where there is none. */}}
{{- define "rungate.usersKey" -}}
{{- if .Values.auth.existingSecret }}{{ .Values.auth.usersKey }}{{ else if .Values.auth.users }}users{{ end -}}
{{- end -}}

{{/* The ConfigMap with what callers may read; empty where there is none. */}}
{{- define "rungate.accessConfigMap" -}}
{{- if .Values.access.existingConfigMap -}}
{{- .Values.access.existingConfigMap -}}
{{- else if .Values.access.callers -}}
{{- include "rungate.name" . }}-access
{{- end -}}
{{- end -}}

{{/* Every namespace that is served, as a JSON list; not asked for with allNamespaces. */}}
{{- define "rungate.served" -}}
{{- prepend .Values.namespaces (.Values.namespace | default .Release.Namespace) | uniq | toJson -}}
{{- end -}}

{{/* Parts that are on, as PARTS has them. */}}
{{- define "rungate.parts" -}}
{{- $parts := list -}}
{{- range $part := list "gateway" "triggers" "hooks" -}}
{{- if (index $.Values $part).enabled }}{{ $parts = append $parts $part }}{{ end -}}
{{- end -}}
{{- join "," $parts -}}
{{- end -}}

{{/* How many pods. The listener's documentation calls it service.replicas. */}}
{{- define "rungate.replicas" -}}
{{- if hasKey .Values.service "replicas" }}{{ int .Values.service.replicas }}{{ else }}{{ int .Values.deployment.replicas }}{{ end -}}
{{- end -}}

{{/* A setting as the environment has it: YAML makes a boolean of `off`, and Helm 1.048576e+06 of 1048576. */}}
{{- define "rungate.setting" -}}
{{- if kindIs "bool" .value -}}
{{- if eq .name "CACHE" }}{{ ternary "on" "off" .value }}{{ else }}{{ .value }}{{ end -}}
{{- else if kindIs "string" .value -}}
{{- .value -}}
{{- else -}}
{{- int64 .value -}}
{{- end -}}
{{- end -}}

{{/* Whole MiB of a quantity of memory. */}}
{{- define "rungate.mebibytes" -}}
{{- $text := . -}}
{{- if not (kindIs "string" .) }}{{ $text = int64 . | toString }}{{ end -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- divf (mulf (trimSuffix $unit $text | float64) (index $units $unit)) 1048576 | int64 -}}
{{- end -}}
