{{/* Alerts about the pods, the model and the clients. */}}
{{- define "undertone.servingRules" -}}
{{- $root := . -}}
{{- $pods := include "undertone.series" (dict "root" . "component" "inference") -}}
{{- $autoscaler := include "undertone.componentName" (dict "root" . "component" "inference") -}}
{{- /* Missing pods are no fault if the fleet is scaled to zero, or has just been started. */ -}}
{{- $hasPods := "" -}}
{{- if include "undertone.scalesToZero" . -}}
{{- $hasPods = printf " and on () min_over_time(kube_deployment_spec_replicas{namespace=%q, deployment=%q}[15m]) > 0" .Release.Namespace $autoscaler -}}
{{- end -}}
- name: undertone-serving
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- with .Values.monitoring.alerts }}
    {{- if and .noHealthyPods (eq $root.Values.loadBalancer.type "envoy") }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneNoHealthyPods" "alert" .noHealthyPods) | nindent 6 }}
      expr: |
        max(envoy_cluster_membership_healthy{ {{- include "undertone.series" (dict "root" $root "component" "envoy") }}, envoy_cluster_name="sidecars"}) == 0{{ $hasPods }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneNoHealthyPods") | nindent 8 }}
        summary: No healthy sidecar
        description: No Envoy pod has a healthy sidecar. All calls fail with UNAVAILABLE.
    {{- end }}
    {{- with .metricsMissing }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneMetricsMissing" "alert" .) | nindent 6 }}
      expr: |
        absent(undertone_ready{ {{- $pods }}}){{ $hasPods }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneMetricsMissing") | nindent 8 }}
        summary: No metrics of the sidecars
        description: Prometheus has no metrics of any sidecar, so the other alerts cannot fire.
    {{- end }}
    {{- with .shedding }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneShedding" "alert" .) | nindent 6 }}
      # undertone_queue_seconds_count counts what is not rejected: paragraphs, or their chunks.
      expr: |
        sum(rate(undertone_shed_paragraphs_total{ {{- $pods }}, lane="online"}[{{ .window }}]))
        / (
          sum(rate(undertone_shed_paragraphs_total{ {{- $pods }}, lane="online"}[{{ .window }}]))
          + (sum(rate(undertone_queue_seconds_count{ {{- $pods }}, lane="online"}[{{ .window }}])) or vector(0))
        ) > {{ .share }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneShedding") | nindent 8 }}
        summary: Online paragraphs are rejected
        description: >-
          {{`{{ $value | humanizePercentage }}`}} of the paragraphs of the online lane were rejected in the last {{ .window }}, because
          the queue was full or the caller's deadline could not be met.
    {{- end }}
    {{- with .breakerOpen }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBreakerOpen" "alert" .) | nindent 6 }}
      # Not closed means open or half open. The state is half open during a trial call.
      expr: |
        max by (pod) (undertone_client_breaker_state{namespace={{ $root.Release.Namespace | quote }}, state="closed"}) == 0{{ $hasPods }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneBreakerOpen") | nindent 8 }}
        summary: The circuit breaker of a client is open
        description: Most calls of {{`{{ $labels.pod }}`}} failed, so its circuit breaker is open. A job waits until the service recovers. The calls of an online client fail at once.
    {{- end }}
    {{- with .paddingWaste }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertonePaddingWaste" "alert" .) | nindent 6 }}
      expr: |
        sum(rate(undertone_tokens_total{ {{- $pods }}, kind="padding"}[{{ .window }}]))
        / sum(rate(undertone_tokens_total{ {{- $pods }}}[{{ .window }}])) > {{ .share }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertonePaddingWaste") | nindent 8 }}
        summary: A large part of the computed tokens is padding
        description: {{`"{{ $value | humanizePercentage }} of the tokens that the model server computes are padding."`}}
    {{- end }}
    {{- $autoscalers := list }}
    {{- if ne $root.Values.autoscaling.type "none" }}
    {{- $autoscalers = append $autoscalers (printf "(keda-hpa-)?%s%s" $autoscaler (ternary "(-spot)?" "" $root.Values.spot.enabled)) }}
    {{- end }}
    {{- if eq $root.Values.loadBalancer.type "envoy" }}
    {{- $autoscalers = append $autoscalers (include "undertone.componentName" (dict "root" $root "component" "envoy")) }}
    {{- end }}
    {{- if and .podsAtMaximum $autoscalers }}
    {{- $names := printf "namespace=%q, horizontalpodautoscaler=~%q" $root.Release.Namespace (join "|" $autoscalers) }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertonePodsAtMaximum" "alert" .podsAtMaximum) | nindent 6 }}
      # An autoscaler whose minimum equals its maximum is excluded.
      expr: |
        kube_horizontalpodautoscaler_status_current_replicas{ {{- $names }}}
        >= on (namespace, horizontalpodautoscaler) (
          kube_horizontalpodautoscaler_spec_max_replicas{ {{- $names }}}
          > on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_min_replicas{ {{- $names }}}
        )
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertonePodsAtMaximum") | nindent 8 }}
        summary: An autoscaler has reached its maximum
        description: The autoscaler {{`{{ $labels.horizontalpodautoscaler }}`}} has {{`{{ $value }}`}} pods, its maximum.
    {{- end }}
    {{- with .modelMismatch }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneModelMismatch" "alert" .) | nindent 6 }}
      expr: |
        sum(undertone_model_mismatch{ {{- $pods }}}) > 0
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneModelMismatch") | nindent 8 }}
        summary: Pods cannot serve a version of the model
        description: >-
          {{`{{ $value }}`}} pods found a version of the model whose contract does not match its files or the model server.
          The pods serve an older version, or are not ready.
    {{- end }}
    {{- with .modelsDiffer }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneModelsDiffer" "alert" .) | nindent 6 }}
      expr: |
        count(count by (name, version, precision) (undertone_model_info{ {{- $pods }}} == 1)) > 1
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneModelsDiffer") | nindent 8 }}
        summary: Pods serve different models
        description: {{`"{{ $value }} models (names, versions or precisions) are served at the same time. The same paragraph can get different scores."`}}
    {{- end }}
    {{- end }}
{{- end }}
