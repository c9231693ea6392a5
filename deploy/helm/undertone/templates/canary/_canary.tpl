{{/* The pods of the second model version. */}}

{{/*
Renders a template for the canary's pods: with the values of `model` that `canary.model` overrides, and without
an autoscaler. Argument: (dict "root" $ "template" "undertone.inferenceService").
*/}}
{{- define "undertone.forCanary" -}}
{{- $canary := .root.Values.canary -}}
{{- $model := deepCopy $canary.model -}}
{{- $values := dict "model" $model "autoscaling" (dict "type" "none" "replicas" $canary.replicas) -}}
{{- include "undertone.forPods" (dict "root" .root "component" "canary" "values" $values "template" .template) }}
{{- end }}

{{/* The canary needs Envoy and a model of its own. */}}
{{- define "undertone.checkCanary" -}}
{{- $canary := .Values.canary }}
{{- if $canary.enabled }}
{{- if ne .Values.loadBalancer.type "envoy" }}
{{- fail (printf "canary.enabled is true, but loadBalancer.type is %s: set it to envoy, because only Envoy divides calls between the versions" .Values.loadBalancer.type) }}
{{- end }}
{{- if not $canary.model }}
{{- fail "canary.model is empty: set the values in which the canary's model differs from `model`, for example {version: 2}" }}
{{- end }}
{{- if and (gt (float64 $canary.weight) 0.0) (gt (float64 $canary.mirror) 0.0) }}
{{- fail (printf "canary.weight is %v and canary.mirror %v: set one of them to 0, because the canary would receive calls twice" $canary.weight $canary.mirror) }}
{{- end }}
{{- if and .Values.model.image.digest $canary.model.image (not (get $canary.model.image "digest")) }}
{{- fail "canary.model.image has no digest, but model.image.digest is set and would take precedence: set canary.model.image.digest" }}
{{- end }}
{{- end }}
{{- end }}
