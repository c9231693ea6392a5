{{/*
The data of the pods' ConfigMap. The pods have its checksum, so it excludes the labels, which contain the
version of the chart.
*/}}
{{- define "undertone.inferenceConfig" -}}
data:
  # TF Serving loads this version only, even if the directory contains other versions.
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
  model-server-flags.txt: |
    {{- .Files.Get "files/model-server-flags.txt" | nindent 4 }}
  serve.sh: |
    {{- .Files.Get "files/serve.sh" | nindent 4 }}
{{- end }}
