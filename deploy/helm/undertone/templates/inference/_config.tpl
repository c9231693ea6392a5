{{/* Data of the pods' ConfigMap, of which the pods carry a checksum: without labels, one of which is the chart's version. */}}
{{- define "undertone.inferenceConfig" -}}
data:
  # The pinned version only: another one in the folder is not even loaded.
  models.config: |
    model_config_list {
      config {
        name: {{ .Values.model.name | quote }}
        base_path: "{{ include "undertone.modelRoot" . }}/{{ .Values.model.name }}"
        model_platform: "tensorflow"
        model_version_policy { specific { versions: {{ int64 .Values.model.version }} } }
      }
    }
  check_model.py: |
    {{- .Files.Get "files/check_model.py" | nindent 4 }}
  monitoring.config: |
    prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
  serve.sh: |
    {{- .Files.Get "files/serve.sh" | nindent 4 }}
{{- end }}
