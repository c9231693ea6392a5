{{/* What the pods of this chart have in common. */}}

{{/* First lines of every pod's spec: (dict "root" $ "priorityClassName" ...). */}}
{{- define "undertone.podDefaults" -}}
serviceAccountName: {{ include "undertone.serviceAccountName" .root }}
automountServiceAccountToken: false
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

{{/* Where this release's own clients find the service. */}}
{{- define "undertone.target" -}}
{{- if eq .Values.loadBalancer.type "envoy" -}}
{{ include "undertone.componentName" (dict "root" . "component" "envoy") }}.{{ .Release.Namespace }}.svc:{{ .Values.loadBalancer.service.port }}
{{- else -}}
dns:///{{ include "undertone.componentName" (dict "root" . "component" "inference") }}.{{ .Release.Namespace }}.svc:50051
{{- end }}
{{- end }}

{{/* Selects the pods of some components of this release: (dict "root" $ "components" (list ...)). */}}
{{- define "undertone.podsOf" -}}
matchLabels:
  app.kubernetes.io/name: {{ include "undertone.name" .root }}
  app.kubernetes.io/instance: {{ .root.Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " .components }}]}
{{- end }}

{{/* Selects the pods of this release that call the service. */}}
{{- define "undertone.clientPods" -}}
{{- include "undertone.podsOf" (dict "root" . "components" (list "backfill" "daily" "test")) }}
{{- end }}

{{/* Selects the pods of this release's jobs. */}}
{{- define "undertone.jobPods" -}}
{{- include "undertone.podsOf" (dict "root" . "components" (list "backfill" "daily")) }}
{{- end }}

{{/* Environment of the `undertone` command. */}}
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
{{- end }}

{{- define "undertone.clientVolumes" -}}
- name: tmp
  emptyDir: {}
{{- with .Values.clients.tlsSecretName }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}

{{- define "undertone.clientMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.clients.tlsSecretName }}
- name: tls
  mountPath: /etc/undertone/tls
  readOnly: true
{{- end }}
{{- end }}
