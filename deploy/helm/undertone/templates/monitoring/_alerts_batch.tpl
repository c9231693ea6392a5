{{/*
Alerts about the jobs. They end before anybody scrapes them, so they push what they did to a Pushgateway, whose series have the job's
name, and the Pushgateway's namespace.
*/}}
{{- define "undertone.batchRules" -}}
{{- $root := . -}}
{{- $daily := include "undertone.componentName" (dict "root" . "component" "daily") -}}
{{- $jobs := printf "job=~\"%s-(backfill|daily)\"" (include "undertone.fullname" .) -}}
{{- $cronjob := printf "namespace=%q, cronjob=%q" .Release.Namespace $daily -}}
- name: undertone-batch
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- with .Values.monitoring.alerts }}
    {{- if and .batchLate (not $root.Values.batch.daily.suspend) }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBatchLate" "alert" .batchLate) | nindent 6 }}
      expr: |
        time() - max by (job) (undertone_job_last_success_timestamp_seconds{job={{ $daily | quote }}}) > {{ int64 .batchLate.seconds }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneBatchLate") | nindent 8 }}
        summary: The daily job is late
        description: {{`"The last success of {{ $labels.job }} is {{ $value | humanizeDuration }} ago."`}}
    {{- end }}
    {{- with .batchFailed }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBatchFailed" "alert" .) | nindent 6 }}
      # It ended and was no success; or it does not end, and says no more (it would every 15 s).
      expr: |
        (
          max by (job) (undertone_job_running{ {{- $jobs }}}) == 0
          and on (job) (
            max by (job) (undertone_job_started_timestamp_seconds{ {{- $jobs }}})
            > on (job) (
              max by (job) (undertone_job_last_success_timestamp_seconds{ {{- $jobs }}})
              or on (job) 0 * max by (job) (undertone_job_started_timestamp_seconds{ {{- $jobs }}})
            )
          )
        ) or (
          max by (job) (undertone_job_running{ {{- $jobs }}}) == 1
          and on (job) time() - max by (job) (push_time_seconds{ {{- $jobs }}}) > 120
        )
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneBatchFailed") | nindent 8 }}
        summary: A job did not succeed
        description: {{`"The last run of {{ $labels.job }} {{ if $value }}ended without a word{{ else }}failed{{ end }}."`}}
    {{- end }}
    {{- with .cronJobLate }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneCronJobLate" "alert" .) | nindent 6 }}
      # One that never succeeded is as late as it is old; one that is suspended is meant to be.
      expr: |
        time() - (
          max by (cronjob) (kube_cronjob_status_last_successful_time{ {{- $cronjob }}})
          or max by (cronjob) (kube_cronjob_created{ {{- $cronjob }}})
        ) > {{ int64 .seconds }}
        unless on (cronjob) kube_cronjob_spec_suspend{ {{- $cronjob }}} == 1
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneCronJobLate") | nindent 8 }}
        summary: The CronJob is late
        description: {{`"The last success of the CronJob {{ $labels.cronjob }} is {{ $value | humanizeDuration }} ago."`}}
    {{- end }}
    {{- end }}
{{- end }}
