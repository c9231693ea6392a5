{{/*
Names and labels. Templates about a component have the argument (dict "root" $ "component" "inference").
*/}}

{{- define "undertone.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/*
The release name, followed by the chart name unless the release name contains it. Services need a DNS label
that starts with a letter, and templates append suffixes. Therefore dots become hyphens, a name that starts
with a digit gets a prefix, and a long name is truncated. The hash of the original name makes such names
unique again.
*/}}
{{- define "undertone.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "undertone.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- if and (le (len $full) 40) (regexMatch "^[a-z][a-z0-9-]*$" $full) }}
{{- $full }}
{{- else }}
{{- $valid := replace "." "-" $full }}
{{- if regexMatch "^[0-9]" $valid }}{{ $valid = printf "r-%s" $valid }}{{ end }}
{{- printf "%s-%s" ($valid | trunc 31 | trimSuffix "-") (sha256sum $full | trunc 8) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of the objects of a component. */}}
{{- define "undertone.componentName" -}}
{{- printf "%s-%s" (include "undertone.fullname" .root) .component }}
{{- end }}

{{/* The name in the certificate of the sidecars. */}}
{{- define "undertone.sidecarServerName" -}}
{{- $service := include "undertone.componentName" (dict "root" . "component" "inference") -}}
{{- .Values.sidecar.tls.serverName | default (printf "%s.%s.svc" $service .Release.Namespace) }}
{{- end }}

{{/* The labels that select a component's pods. They must not change: selectors are immutable. */}}
{{- define "undertone.selectorLabels" -}}
app.kubernetes.io/name: {{ include "undertone.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "undertone.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "undertone.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: undertone
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "undertone.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "undertone.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
The reference of an image. The digest takes precedence over the tag; the tag defaults to the appVersion of
the chart. Argument: (dict "root" $ "image" .Values.sidecar.image).
*/}}
{{- define "undertone.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* "true" if the autoscaler can stop all pods, else empty. */}}
{{- define "undertone.scalesToZero" -}}
{{- if and (eq .Values.autoscaling.type "keda") (eq (int .Values.autoscaling.minReplicas) 0) }}true{{ end }}
{{- end }}

{{/* The security context of every pod, for the restricted Pod Security Standard. */}}
{{- define "undertone.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The security context of every container. */}}
{{- define "undertone.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Renders a template for a group of inference pods. The template has the context of the chart, with `component`,
the name of the group, and with the group's own values.
Argument: (dict "root" $ "component" "inference" "values" dict "template" "undertone.inferenceService").
*/}}
{{- define "undertone.forPods" -}}
{{- $values := mergeOverwrite (deepCopy .root.Values) .values -}}
{{- include .template (dict "component" .component "Values" $values "Release" .root.Release "Chart" .root.Chart "Files" .root.Files "Capabilities" .root.Capabilities "Template" .root.Template) }}
{{- end }}
