#!/usr/bin/env bash
# Makes the DNS of the current cluster cache the names of the cluster for 30 s, as NodeLocal DNSCache
# and older kubeadm do. kind and new kubeadm clusters do not cache them.
set -euo pipefail

kubectl create configmap coredns --namespace kube-system --dry-run=client --output yaml \
    --from-literal "Corefile=$(
        cat <<'COREFILE'
.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30 {
        success 9984 30
        denial 9984 5
        keepttl
    }
    loop
    loadbalance
}
COREFILE
    )" | kubectl apply --server-side --force-conflicts --filename -
kubectl --namespace kube-system rollout restart deployment/coredns
kubectl --namespace kube-system rollout status deployment/coredns --timeout 5m
