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
