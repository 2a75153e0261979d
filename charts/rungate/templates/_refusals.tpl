{{/* What a schema cannot say of values: each refusal names the value to change. */}}
{{- define "rungate.refusals" -}}
{{- $auth := .Values.auth -}}
{{- if not (include "rungate.parts" .) -}}
{{- fail "gateway.enabled, triggers.enabled and hooks.enabled are all false: nothing would run." -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not $auth.existingSecret) -}}
{{- if and $auth.username (not $auth.password) -}}
{{- fail "auth.password is missing beside auth.username. There is no default." -}}
{{- end -}}
{{- if and $auth.password (not $auth.username) -}}
{{- fail "auth.username is missing beside auth.password." -}}
{{- end -}}
{{- if not (or $auth.username $auth.users) -}}
{{- fail "auth.password is missing: set auth.username and auth.password, or auth.users, or name a Secret in auth.existingSecret. There is no default." -}}
{{- end -}}
{{- if and $auth.password (or (eq $auth.password $auth.username) (eq (lower $auth.password) "admin")) -}}
{{- fail "auth.password is one that everybody tries first: rungate refuses to start with it." -}}
{{- end -}}
{{- end -}}
{{- if and $auth.usersKey (not $auth.existingSecret) -}}
{{- fail "auth.usersKey is a key of auth.existingSecret, which is empty." -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor needs metrics.enabled." -}}
{{- end -}}
{{- if and .Values.allNamespaces .Values.namespaces -}}
{{- fail "namespaces and allNamespaces exclude one another." -}}
{{- end -}}
{{- if and .Values.triggers.credentials (not .Values.triggers.enabled) -}}
{{- fail "triggers.credentials needs triggers.enabled." -}}
{{- end -}}
{{- if and .Values.hooks.impersonation (not .Values.hooks.enabled) -}}
{{- fail "hooks.impersonation needs hooks.enabled." -}}
{{- end -}}
{{- if and .Values.hooks.eventListeners.enabled (not .Values.hooks.enabled) -}}
{{- fail "hooks.eventListeners.enabled needs hooks.enabled." -}}
{{- end -}}
{{- if and (or .Values.gateway.readTriggers .Values.gateway.runTriggers) (not .Values.gateway.enabled) -}}
{{- fail "gateway.readTriggers and gateway.runTriggers need gateway.enabled." -}}
{{- end -}}
{{- end -}}
