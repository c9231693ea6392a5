{{/* Common parts of the pods. */}}

{{/*
The first fields of every pod's spec. A pod with a service account of its own mounts its token.
Argument: (dict "root" $ "priorityClassName" "" "serviceAccountName" "").
*/}}
{{- define "undertone.podDefaults" -}}
serviceAccountName: {{ .serviceAccountName | default (include "undertone.serviceAccountName" .root) }}
automountServiceAccountToken: {{ not (empty .serviceAccountName) }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- include "undertone.podSecurityContext" .root | nindent 2 }}
{{- end }}

{{/* The gRPC target that the jobs and the test of this release call. */}}
{{- define "undertone.target" -}}
{{- if eq .Values.loadBalancer.type "envoy" -}}
{{ include "undertone.componentName" (dict "root" . "component" "envoy") }}.{{ .Release.Namespace }}.svc:{{ .Values.loadBalancer.service.port }}
{{- else -}}
dns:///{{ include "undertone.componentName" (dict "root" . "component" "inference") }}.{{ .Release.Namespace }}.svc:50051
{{- end }}
{{- end }}

{{/* A selector of pods of several components. Argument: (dict "root" $ "components" (list "daily")). */}}
{{- define "undertone.podsOf" -}}
matchLabels:
  app.kubernetes.io/name: {{ include "undertone.name" .root }}
  app.kubernetes.io/instance: {{ .root.Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " .components }}]}
{{- end }}

{{/* A selector of all inference pods of this release. */}}
{{- define "undertone.inferencePods" -}}
{{- $components := list "inference" }}
{{- if .Values.spot.enabled }}{{ $components = append $components "inference-spot" }}{{ end }}
{{- if .Values.canary.enabled }}{{ $components = append $components "canary" }}{{ end }}
{{- if eq (len $components) 1 -}}
matchLabels:
  {{- include "undertone.selectorLabels" (dict "root" . "component" "inference") | nindent 2 }}
{{- else -}}
{{- include "undertone.podsOf" (dict "root" . "components" $components) }}
{{- end }}
{{- end }}

{{/* A selector of the pods of this release that call the service. */}}
{{- define "undertone.clientPods" -}}
{{- $components := list "backfill" "daily" "test" }}
{{- if eq .Values.batch.runner "kubernetes" }}{{ $components = append $components "executor" }}{{ end }}
{{- include "undertone.podsOf" (dict "root" . "components" $components) }}
{{- end }}

{{/* A selector of the pods of this release's jobs. */}}
{{- define "undertone.jobPods" -}}
{{- include "undertone.podsOf" (dict "root" . "components" (list "backfill" "daily")) }}
{{- end }}

{{/* Environment variables of the undertone command. */}}
{{- define "undertone.clientEnv" -}}
- name: UNDERTONE_TARGET
  value: {{ include "undertone.target" . | quote }}
{{- if .Values.clients.tlsSecretName }}
- {name: UNDERTONE_TLS, value: "true"}
- {name: UNDERTONE_CA_FILE, value: /etc/undertone/tls/ca.crt}
{{- if .Values.clients.mutualTls }}
- {name: UNDERTONE_CERT, value: /etc/undertone/tls/tls.crt}
- {name: UNDERTONE_KEY, value: /etc/undertone/tls/tls.key}
{{- end }}
{{- end }}
{{- if .Values.clients.credentials.secretName }}
- name: {{ ternary "UNDERTONE_TOKEN_FILE" "UNDERTONE_API_KEY_FILE" (eq .Values.loadBalancer.envoy.authentication.type "jwt") }}
  value: /etc/undertone/credentials/credential
{{- end }}
{{- end }}

{{/* Volumes of pods that call the service. */}}
{{- define "undertone.clientVolumes" -}}
- name: tmp
  emptyDir: {}
{{- with .Values.clients.tlsSecretName }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.clients.credentials }}
{{- if .secretName }}
- name: credentials
  secret:
    secretName: {{ .secretName }}
    items: [{key: {{ .key }}, path: credential}]
{{- end }}
{{- end }}
{{- end }}

{{/* Mounts of the volumes in undertone.clientVolumes. */}}
{{- define "undertone.clientMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.clients.tlsSecretName }}
- name: tls
  mountPath: /etc/undertone/tls
  readOnly: true
{{- end }}
{{- if .Values.clients.credentials.secretName }}
- name: credentials
  mountPath: /etc/undertone/credentials
  readOnly: true
{{- end }}
{{- end }}
