#!/usr/bin/env bash
# Tests the chart in the cluster of the current kubeconfig: install, upgrade, failed and waiting
# jobs, calls, autoscaling, rolling update and loss of a pod under load, uninstall.
#
#   tests/e2e/run.sh [--model-server tf-serving|dev-server] [FLAGS OF HELM...]
#
# Requires helm, kubectl, curl, buf and undertone on the PATH; in the cluster, metrics-server, the
# images of docker/, a default StorageClass, and nodes with the label and the taint
# workload=undertone. The test upgrades from the chart of the commit $PREVIOUS (default: HEAD^). If the
# DNS of the cluster caches its names (deploy/kind/cache-dns.sh), set loadBalancer.dnsCacheSeconds.
set -euo pipefail
cd "$(dirname "$0")/../.."

model_server=tf-serving
if [[ ${1:-} == --model-server ]]; then model_server=${2:?tf-serving or dev-server}; shift 2; fi
export HELM_NAMESPACE=undertone-e2e
target=localhost:50051 previous=${PREVIOUS:-HEAD^} chart=deploy/helm/undertone
selector=app.kubernetes.io/instance=undertone
inference=$selector,app.kubernetes.io/component=inference
scaling=autoscaling.minReplicas=2,autoscaling.maxReplicas=3,autoscaling.behavior.scaleDown.stabilizationWindowSeconds=15
# The calls use a port that is forwarded to one Envoy pod, so the number of Envoy pods is fixed.
settings=nodePool.placement=required,$scaling,loadBalancer.envoy.autoscaling.maxReplicas=2
flags=(--wait --timeout 15m --set "$settings" "$@")
case $model_server in
tf-serving) ;;
dev-server) flags+=(--values "$chart/values-dev-server.yaml") ;;
*) echo "--model-server '$model_server' is invalid: use tf-serving or dev-server" >&2; exit 2 ;;
esac
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
eventually() { for _ in {1..200}; do "$@" && return; sleep 3; done; fail "the condition is not true after ten minutes: $*"; }
kubectl() { command kubectl --namespace "$HELM_NAMESPACE" "$@"; }
classify() { timeout 10 buf curl --protocol grpc --http2-prior-knowledge --data '{"text": "At last, home!"}' "http://$target/undertone.v1.Classifier/Classify"; }
ready() { [[ $(kubectl get deployment/undertone-inference --output 'jsonpath={.status.readyReplicas}') == "$1" ]]; }
running() { [[ $(kubectl get pods --selector "job-name=$1" --output 'jsonpath={.items[*].status.phase}') == Running ]]; }
removed() { [[ -z $(kubectl get "$kinds" --selector "$selector" --output name) ]]; }

say "install the chart of $previous, and upgrade it"
kubectl create namespace "$HELM_NAMESPACE"
kubectl label namespace "$HELM_NAMESPACE" pod-security.kubernetes.io/enforce=restricted
git archive "$previous" "$chart" | tar --extract --directory "$folder"
(cd "$folder" && helm install undertone "$chart" "${flags[@]}") # uses the values files of that commit
helm upgrade undertone "$chart" --reset-then-reuse-values "${flags[@]}"

say "run helm test"
helm test undertone --logs

say "a failed backfill does not fail an upgrade"
kubectl apply --filename - <<'CLAIM'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: scores}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Mi}}}
CLAIM
backfill=(--set 'batch.backfill.enabled=true,batch.output.claim=scores')
helm upgrade undertone "$chart" --reset-then-reuse-values "${flags[@]}" "${backfill[@]}" --set 'batch.backfill.inputs={/absent.txt}'
kubectl create job --from cronjob/undertone-backfill absent-input
kubectl wait job/absent-input --for condition=Failed --timeout 10m
helm upgrade undertone "$chart" --reset-then-reuse-values "${flags[@]}" "${backfill[@]}" \
    --set 'batch.backfill.inputs={/etc/os-release},batch.backfill.args={--format=text}'

say "a backfill waits for a service that starts later"
kubectl scale deployment/undertone-inference --replicas 0
kubectl wait pods --for delete --selector "$inference" --timeout 10m
kubectl create job --from cronjob/undertone-backfill early
eventually running early
kubectl scale deployment/undertone-inference --replicas 2 # the autoscaler continues from here
kubectl wait job/early --for condition=Complete --timeout 15m
failed=$(kubectl get job/early --output 'jsonpath={.status.failed}')
[[ ${failed:-0} == 0 ]] || fail "$failed attempts of the backfill failed"
kubectl rollout status deployment/undertone-inference --timeout 15m

say "inference pods run on tainted nodes only"
tainted='{range .items[*]}{.metadata.name}{" "}{.spec.taints[?(@.key=="workload")].effect}{"\n"}{end}'
nodes='{range .items[*]}{.spec.nodeName}{"\n"}{end}'
kubectl get nodes --selector workload=undertone --output "jsonpath=$tainted" |
    awk 'NF == 2 {print $1}' | sort >"$folder/pool"
kubectl get pods --selector "$inference" --output "jsonpath=$nodes" | sort --unique >"$folder/used"
[[ -s $folder/used && -z $(comm -23 "$folder/used" "$folder/pool") ]] || fail "inference pods run on other nodes: $(comm -23 "$folder/used" "$folder/pool")"

say "gRPC and JSON through the load balancer"
command kubectl --namespace "$HELM_NAMESPACE" port-forward service/undertone-envoy 50051:50051 >/dev/null &
eventually classify
curl --silent --show-error --fail --json '{"text": "At last, home!"}' "http://$target/v1/paragraphs:classify" | grep '"label"'

say "under load: scale up, rolling update, pod killed; no call fails, without retries by the client"
sentence=' letters came that year, and none of them was hers. '
seq 500000 | sed "s/.*/&$sentence&$sentence&$sentence&$sentence&$sentence\n/" >"$folder/letters.txt"
undertone score "$folder/letters.txt" --out "$folder/scores" --target "$target" --limit 4 --attempts 1 --quiet &
load=$!
eventually ready 3
kubectl rollout restart deployment/undertone-inference
kubectl rollout status deployment/undertone-inference --timeout 15m
kubectl delete --grace-period=1 "$(kubectl get pods --selector "$inference" --output name | head -1)"
eventually ready 3
kill "$load" || fail "undertone score ended before the test stopped it"
wait "$load" || [[ $? == 143 ]] || fail "undertone score ended with exit code $?"
[[ -n $(find "$folder/scores" -name 'part-*') ]] || fail "undertone score wrote no scores"
[[ ! -s $folder/scores/_failures.jsonl ]] || fail "$(head -1 "$folder/scores/_failures.jsonl")"

say "without load: scale down"
eventually ready 2

say "uninstall removes all objects"
kinds=$(kubectl api-resources --namespaced --verbs=list --output name | paste --serial --delimiters=,)
helm uninstall undertone --wait
eventually removed
kubectl delete namespace "$HELM_NAMESPACE"
printf '\nall checks passed\n'
