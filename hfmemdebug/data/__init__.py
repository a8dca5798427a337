"""Where rows come from: synthetic datasets, local files, the Hub."""
