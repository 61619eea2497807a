"""The post office against a model of it on paper: any mix of acts, checked after each commit."""
