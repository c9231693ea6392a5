{{/* The Redis of the answer cache: flags, mounts and volumes of the sidecar. */}}

{{/* The flags. Empty without Redis. */}}
{{- define "undertone.redisArgs" -}}
{{- with .Values.sidecar.redis }}
{{- if .url }}
- --cache-redis={{ .url }}
- --cache-redis-ttl-seconds={{ int64 .ttlSeconds }}
- --cache-redis-timeout-seconds={{ .timeoutSeconds | toJson }}
{{- if .passwordSecretName }}
- --cache-redis-password-file=/etc/undertone/redis/password
{{- end }}
{{- if .caSecretName }}
- --cache-redis-ca=/etc/undertone/redis-ca/ca.crt
{{- end }}
{{- if .clientSecretName }}
- --cache-redis-cert=/etc/undertone/redis-client/tls.crt
- --cache-redis-key=/etc/undertone/redis-client/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The mounts of the Secrets. */}}
{{- define "undertone.redisMounts" -}}
{{- with .Values.sidecar.redis }}
{{- if and .url .passwordSecretName }}
- {name: redis, mountPath: /etc/undertone/redis, readOnly: true}
{{- end }}
{{- if and .url .caSecretName }}
- {name: redis-ca, mountPath: /etc/undertone/redis-ca, readOnly: true}
{{- end }}
{{- if and .url .clientSecretName }}
- {name: redis-client, mountPath: /etc/undertone/redis-client, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* The volumes of the Secrets. */}}
{{- define "undertone.redisVolumes" -}}
{{- with .Values.sidecar.redis }}
{{- if and .url .passwordSecretName }}
- name: redis
  secret:
    secretName: {{ .passwordSecretName }}
    items: [{key: {{ .passwordKey | quote }}, path: password}]
{{- end }}
{{- if and .url .caSecretName }}
- name: redis-ca
  secret:
    secretName: {{ .caSecretName }}
    # ca.crt only: the Secret may also contain a private key.
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- if and .url .clientSecretName }}
- name: redis-client
  secret:
    secretName: {{ .clientSecretName }}
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- end }}
{{- end }}

{{/* The values of Redis need each other. */}}
{{- define "undertone.checkRedis" -}}
{{- $redis := .Values.sidecar.redis }}
{{- if not $redis.url }}
{{- if or $redis.passwordSecretName $redis.caSecretName $redis.clientSecretName }}
{{- fail "sidecar.redis.url is empty, so the Secrets of sidecar.redis have no effect: set the URL, or leave all of them empty" }}
{{- end }}
{{- else }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.redis) }}
{{- fail "networkPolicy.redis is empty, so the inference pods cannot reach sidecar.redis.url: add an egress rule, for example [{to: [{podSelector: {matchLabels: {app.kubernetes.io/name: redis}}}], ports: [{port: 6379, protocol: TCP}]}]" }}
{{- end }}
{{- if and (or $redis.caSecretName $redis.clientSecretName) (not (hasPrefix "rediss:" $redis.url)) }}
{{- fail (printf "sidecar.redis.url is %s, but sidecar.redis.caSecretName and sidecar.redis.clientSecretName need TLS: use rediss://" $redis.url) }}
{{- end }}
{{- if and (contains "@" $redis.url) (not $redis.passwordSecretName) }}
{{- fail (printf "sidecar.redis.url is %s, with a user but without a password: set sidecar.redis.passwordSecretName" $redis.url) }}
{{- end }}
{{- end }}
{{- $bytes := index .Values.sidecar.settings "cache-bytes" | default 0 | int64 }}
{{- if and (gt $bytes 0) (lt $bytes 1048576) }}
{{- fail (printf "sidecar.settings.cache-bytes is %d: use at least 1048576, or 0 to keep no answers in memory" $bytes) }}
{{- end }}
{{- end }}
