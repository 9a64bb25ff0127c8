"""What the rules' scripts share: configuration, stored tables, the job's surroundings, and the layout kernel."""
