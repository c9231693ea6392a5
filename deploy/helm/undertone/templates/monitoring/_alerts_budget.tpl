{{/*
Multi-window, multi-burn-rate alerts on error budgets (Google, The Site Reliability Workbook, chapter 5).
Recording rules compute the ratios of each window, so that an alert reads one series.
*/}}
{{- define "undertone.budgetRules" -}}
{{- $root := . -}}
{{- $slo := .Values.monitoring.slo -}}
{{- $series := include "undertone.series" (dict "root" . "component" "inference") -}}
{{- $recorded := include "undertone.recorded" . -}}
{{- /* The services that score paragraphs. */ -}}
{{- $service := printf "%s, grpc_service!=\"grpc.health.v1.Health\"" $series -}}
{{- $failed := "UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS" -}}
{{- $windows := list -}}
{{- range $slo.burnRates }}
{{- $windows = append (append $windows .short) .long }}
{{- end -}}
- name: undertone-ratios
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- range uniq $windows }}
    - record: undertone:errors:ratio_rate{{ . }}
      labels:
        of: calls
        {{- include "undertone.recordedLabels" $root | nindent 8 }}
      expr: |
        (sum(rate(grpc_server_handled_total{ {{- $service }}, grpc_code=~{{ $failed | quote }}}[{{ . }}])) or vector(0))
        / sum(rate(grpc_server_handled_total{ {{- $service }}}[{{ . }}]))
    # The status of a ClassifyBatch call is OK even if some of its paragraphs fail.
    - record: undertone:errors:ratio_rate{{ . }}
      labels:
        of: paragraphs
        {{- include "undertone.recordedLabels" $root | nindent 8 }}
      expr: |
        (sum(rate(undertone_paragraphs_total{ {{- $series }}, code=~{{ $failed | quote }}}[{{ . }}])) or vector(0))
        / sum(rate(undertone_paragraphs_total{ {{- $series }}}[{{ . }}]))
    {{- $window := . }}
    {{- range $method, $seconds := $slo.seconds }}
    - record: undertone:slow_calls:ratio_rate{{ $window }}
      labels:
        grpc_method: {{ $method }}
        {{- include "undertone.recordedLabels" $root | nindent 8 }}
      expr: |
        1 - sum(rate(grpc_server_handling_seconds_bucket{ {{- $service }}, grpc_method={{ $method | quote }}, le={{ toString $seconds | quote }}}[{{ $window }}]))
        / sum(rate(grpc_server_handling_seconds_count{ {{- $service }}, grpc_method={{ $method | quote }}}[{{ $window }}]))
    {{- end }}
    {{- end }}
- name: undertone-budgets
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- range $slo.burnRates }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneErrorBudgetBurn" "alert" .) | nindent 6 }}
        window: {{ .long }}
      expr: |
        undertone:errors:ratio_rate{{ .long }}{ {{- $recorded }}} > {{ .factor }} * (1 - {{ $slo.availability }})
        and undertone:errors:ratio_rate{{ .short }}{ {{- $recorded }}} > {{ .factor }} * (1 - {{ $slo.availability }})
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneErrorBudgetBurn") | nindent 8 }}
        summary: Too many {{`{{ $labels.of }}`}} fail
        description: >-
          {{`{{ $value | humanizePercentage }}`}} of the {{`{{ $labels.of }}`}} in the last {{ .long }} failed because of the service.
          This is more than {{ .factor }} times the ratio that an availability of {{ $slo.availability }} allows.
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneLatencyBudgetBurn" "alert" .) | nindent 6 }}
        window: {{ .long }}
      expr: |
        undertone:slow_calls:ratio_rate{{ .long }}{ {{- $recorded }}} > {{ .factor }} * (1 - {{ $slo.latency }})
        and undertone:slow_calls:ratio_rate{{ .short }}{ {{- $recorded }}} > {{ .factor }} * (1 - {{ $slo.latency }})
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneLatencyBudgetBurn") | nindent 8 }}
        summary: Too many {{`{{ $labels.grpc_method }}`}} calls are slow
        description: >-
          {{`{{ $value | humanizePercentage }}`}} of the {{`{{ $labels.grpc_method }}`}} calls in the last {{ .long }} took longer than
          the objective (monitoring.slo.seconds). This is more than {{ .factor }} times the ratio that a latency objective
          of {{ $slo.latency }} allows.
    {{- end }}
{{- end }}
