"""Which metrics targets there are: what is configured, and what files, the cluster itself or Kubernetes name."""
