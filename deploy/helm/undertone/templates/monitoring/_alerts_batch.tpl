{{/*
Alerts about the jobs. A short job can end before Prometheus scrapes it, so all jobs push to a Pushgateway.
The series of the Pushgateway have the name of the job in the label `job` and the namespace of the release in the
label `namespace`.
*/}}
{{- define "undertone.batchRules" -}}
{{- $root := . -}}
{{- $daily := include "undertone.componentName" (dict "root" . "component" "daily") -}}
{{- $jobs := include "undertone.ownJobSeries" . -}}
{{- $cronjob := printf "namespace=%q, cronjob=%q" .Release.Namespace $daily -}}
- name: undertone-batch
  interval: {{ .Values.monitoring.ruleInterval }}
  rules:
    {{- with .Values.monitoring.alerts }}
    {{- if and .batchLate (not $root.Values.batch.daily.suspend) }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBatchLate" "alert" .batchLate) | nindent 6 }}
      expr: |
        time() - max by (job) (undertone_job_last_success_timestamp_seconds{namespace={{ $root.Release.Namespace | quote }}, job={{ $daily | quote }}}) > {{ int64 .batchLate.seconds }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneBatchLate") | nindent 8 }}
        summary: The daily job has not succeeded recently
        description: {{`"{{ $labels.job }} last succeeded {{ $value | humanizeDuration }} ago."`}}
    {{- end }}
    {{- with .jobLate }}
    {{- $series := include "undertone.jobSeries" $root }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneJobLate" "alert" .) | nindent 6 }}
      # The value is the delay in seconds. While the forecast is unknown, it is 0.
      expr: |
        (
          max by (job) (undertone_job_forecast_end_timestamp_seconds{ {{- $series }}})
          - on (job) (max by (job) (undertone_job_finish_by_timestamp_seconds{ {{- $series }}}) > 0)
        ) > 60 {{ include "undertone.ofRunningJobs" $series }}
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneJobLate") | nindent 8 }}
        summary: A job will miss the time of --finish-by
        description: {{`"At its current rate, {{ $labels.job }} will end {{ $value | humanizeDuration }} after the time of --finish-by."`}}
    {{- end }}
    {{- with .batchFailed }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneBatchFailed" "alert" .) | nindent 6 }}
      # First case: the run ended without success. Second case: the run did not report its end, but
      # it no longer pushes. A running job pushes every 15 s.
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
        summary: A job failed
        description: {{`"The last run of {{ $labels.job }} {{ if $value }}stopped pushing metrics; it was probably killed{{ else }}failed{{ end }}."`}}
    {{- end }}
    {{- with .cronJobLate }}
    - {{- include "undertone.alert" (dict "root" $root "name" "UndertoneCronJobLate" "alert" .) | nindent 6 }}
      # If the CronJob never succeeded, its creation counts instead. A suspended CronJob is excluded.
      expr: |
        time() - (
          max by (cronjob) (kube_cronjob_status_last_successful_time{ {{- $cronjob }}})
          or max by (cronjob) (kube_cronjob_created{ {{- $cronjob }}})
        ) > {{ int64 .seconds }}
        unless on (cronjob) kube_cronjob_spec_suspend{ {{- $cronjob }}} == 1
      annotations:
        {{- include "undertone.runbook" (dict "root" $root "name" "UndertoneCronJobLate") | nindent 8 }}
        summary: The CronJob has not succeeded recently
        description: {{`"The CronJob {{ $labels.cronjob }} last succeeded, or was created, {{ $value | humanizeDuration }} ago."`}}
    {{- end }}
    {{- end }}
{{- end }}
