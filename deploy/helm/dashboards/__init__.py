"""Makes the dashboards of Grafana and DataDog from one description: `python -m deploy.helm.dashboards`."""
