{{/* Alerts about the pods, their model and those who call them. */}}
{{- define "undertone.servingRules" -}}
{{- $root := . -}}
{{- $pods := include "undertone.series" (dict "root" . "component" "inference") -}}
{{- $autoscaler := include "undertone.componentName" (dict "root" . "component" "inference") -}}
{{- $front := include "undertone.componentName" (dict "root" . "component" "envoy") -}}
- name: undertone-serving
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- with .Values.monitoring.alerts }}
    {{- if and .noHealthyPods (eq $root.Values.loadBalancer.type "envoy") }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneNoHealthyPods" "alert" .noHealthyPods) | nindent 6 }}
      expr: |
        max(envoy_cluster_membership_healthy{ {{- include "undertone.series" (dict "root" $root "component" "envoy") }}, envoy_cluster_name="sidecars"}) == 0
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneNoHealthyPods") | nindent 8 }}
        summary: Nobody is answered
        description: No Envoy pod has a healthy sidecar, so every call ends with UNAVAILABLE.
    {{- end }}
    {{- with .metricsMissing }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneMetricsMissing" "alert" .) | nindent 6 }}
      expr: |
        absent(undertone_ready{ {{- $pods }}})
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneMetricsMissing") | nindent 8 }}
        summary: No metrics arrive
        description: Prometheus has no metrics of any sidecar, so that the alerts about them cannot fire.
    {{- end }}
    {{- with .shedding }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneShedding" "alert" .) | nindent 6 }}
      # What was not refused has waited in the queue, be it for no time.
      expr: |
        sum(rate(undertone_shed_paragraphs_total{ {{- $pods }}, lane="online"}[{{ .window }}]))
        / (
          sum(rate(undertone_shed_paragraphs_total{ {{- $pods }}, lane="online"}[{{ .window }}]))
          + (sum(rate(undertone_queue_seconds_count{ {{- $pods }}, lane="online"}[{{ .window }}])) or vector(0))
        ) > {{ .share }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneShedding") | nindent 8 }}
        summary: Callers are refused
        description: >-
          {{`{{ $value | humanizePercentage }}`}} of the paragraphs that somebody waits for were refused in the last {{ .window }}, because
          the queue was full or the caller's deadline could not be met.
    {{- end }}
    {{- with .breakerOpen }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBreakerOpen" "alert" .) | nindent 6 }}
      # Also half open: it is, for a moment, whenever it tries.
      expr: |
        max by (pod) (undertone_client_breaker_state{namespace={{ $root.Release.Namespace | quote }}, state="closed"}) == 0
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneBreakerOpen") | nindent 8 }}
        summary: A client has stopped calling
        description: The circuit breaker of {{`{{ $labels.pod }}`}} is open, because most of its calls failed; jobs wait, others fail at once.
    {{- end }}
    {{- with .paddingWaste }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertonePaddingWaste" "alert" .) | nindent 6 }}
      expr: |
        sum(rate(undertone_tokens_total{ {{- $pods }}, kind="padding"}[{{ .window }}]))
        / sum(rate(undertone_tokens_total{ {{- $pods }}}[{{ .window }}])) > {{ .share }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertonePaddingWaste") | nindent 8 }}
        summary: Much of what is computed is padding
        description: {{`"{{ $value | humanizePercentage }} of the tokens that the model server computes are padding."`}}
    {{- end }}
    {{- if and .podsAtMaximum (ne $root.Values.autoscaling.type "none") }}
    {{- $names := printf "namespace=%q, horizontalpodautoscaler=~\"(keda-hpa-)?%s|%s\"" $root.Release.Namespace $autoscaler $front }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertonePodsAtMaximum" "alert" .podsAtMaximum) | nindent 6 }}
      # One that has no choice is no news.
      expr: |
        kube_horizontalpodautoscaler_status_current_replicas{ {{- $names }}}
        >= on (namespace, horizontalpodautoscaler) (
          kube_horizontalpodautoscaler_spec_max_replicas{ {{- $names }}}
          > on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_min_replicas{ {{- $names }}}
        )
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertonePodsAtMaximum") | nindent 8 }}
        summary: There can be no more pods
        description: The autoscaler {{`{{ $labels.horizontalpodautoscaler }}`}} has {{`{{ $value }}`}} pods, the most that it may.
    {{- end }}
    {{- with .modelMismatch }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneModelMismatch" "alert" .) | nindent 6 }}
      expr: |
        sum(undertone_model_mismatch{ {{- $pods }}}) > 0
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneModelMismatch") | nindent 8 }}
        summary: A version of the model cannot be served
        description: >-
          {{`{{ $value }}`}} pods found a version of the model that does not agree with its contract or with the model server. They
          answer by an older one, or not at all.
    {{- end }}
    {{- with .modelsDiffer }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneModelsDiffer" "alert" .) | nindent 6 }}
      expr: |
        count(count by (name, version, precision) (undertone_model_info{ {{- $pods }}} == 1)) > 1
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneModelsDiffer") | nindent 8 }}
        summary: Pods answer by different models
        description: {{`"{{ $value }} models (names, versions or precisions) are served at the same time: the same paragraph gets different answers."`}}
    {{- end }}
    {{- end }}
{{- end }}
