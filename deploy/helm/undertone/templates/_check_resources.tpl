{{/* Checks of resources, which Kubernetes would make only when it creates pods. */}}

{{/* A quantity of Kubernetes as a decimal number. */}}
{{- define "undertone.quantity" -}}
{{- $text := toString . -}}
{{- $suffix := regexFind "(m|k|[KMGTPE]i|[MGTPE])$" $text -}}
{{- $factor := 1.0 -}}
{{- if eq $suffix "m" }}{{ $factor = 0.001 }}{{ end -}}
{{- range $index, $letter := list "k" "M" "G" "T" "P" "E" -}}
{{- $exponent := add1 $index | int -}}
{{- if or (eq $suffix $letter) (eq $suffix (printf "%si" (upper $letter))) -}}
{{- range until $exponent }}{{ $factor = mulf $factor (ternary 1024.0 1000.0 (hasSuffix "i" $suffix)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- printf "%.3f" (mulf (trimSuffix $suffix $text | float64) $factor) -}}
{{- end }}

{{/* Requests must not exceed limits, and memory must be in bytes. */}}
{{- define "undertone.checkResources" -}}
{{- $blocks := dict "model" .Values.model "sidecar" .Values.sidecar "modelServer" .Values.modelServer "loadBalancer.envoy" .Values.loadBalancer.envoy "batch" .Values.batch "test" .Values.test }}
{{- range $path, $block := $blocks }}
{{- $limits := $block.resources.limits }}
{{- range $kind, $amounts := $block.resources }}
{{- range $name, $amount := $amounts }}
{{- $value := include "undertone.quantity" $amount | float64 }}
{{- $shown := $amount | toJson | trimAll "\"" }}
{{- $full := printf "%s.resources.%s.%s" $path $kind $name }}
{{- if and (eq $name "memory") (lt $value 1048576.0) }}
{{- fail (printf "%s is %s, less than 1 MiB: use a unit, for example 512Mi" $full $shown) }}
{{- end }}
{{- if and (eq $kind "limits") (eq $value 0.0) }}
{{- fail (printf "%s is 0: use a limit above 0, for example 500m" $full) }}
{{- end }}
{{- if and (eq $kind "requests") (hasKey $limits $name) }}
{{- if gt $value (include "undertone.quantity" (get $limits $name) | float64) }}
{{- fail (printf "%s is %s, more than the limit %s: lower the request, or raise the limit" $full $shown (get $limits $name | toJson | trimAll "\"")) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
