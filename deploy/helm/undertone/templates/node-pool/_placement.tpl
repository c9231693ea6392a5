{{/* Tolerations, node selector and affinity of the inference pods. */}}
{{- define "undertone.placement" -}}
{{- $pool := .Values.nodePool -}}
tolerations:
  - {key: {{ $pool.key }}, operator: Equal, value: {{ $pool.value | quote }}, effect: {{ $pool.effect }}}
  {{- with $pool.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $selector := ternary (dict $pool.key $pool.value) dict (eq $pool.placement "required") }}
{{- with merge $selector $pool.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $pool.affinity }}
affinity:
  {{- toYaml $pool.affinity | nindent 2 }}
{{- else if eq $pool.placement "preferred" }}
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions:
            - {key: {{ $pool.key }}, operator: In, values: [{{ $pool.value | quote }}]}
{{- end }}
{{- end }}

{{/*
The name of a NodePool. NodePools have no namespace, so the name contains the namespace of the release. Nodes have
the name as the value of a label, so it has at most 63 characters. The hash of the original name makes truncated
names unique again. Argument: (dict "root" $ "pool" "general").
*/}}
{{- define "undertone.nodePoolName" -}}
{{- $name := printf "%s-%s-%s" .root.Release.Namespace (include "undertone.fullname" .root) .pool }}
{{- if le (len $name) 63 }}
{{- $name }}
{{- else }}
{{- printf "%s-%s" ($name | trunc 54 | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end }}
{{- end }}
