"""From the sheets that doctors fill in to one vote a frame, an expert and a label.

The way of a label: `files` finds a cohort's label files, `workbook` and `csv_file` read them into plain rows (`rows`),
`matching` tells which sheet is which clip and which column which label, `cells` and `numbering` read entries and frame
numbers, `placement` puts them on frames, `votes` unites the experts. `reading` runs these in turn and gathers
every finding; `settings` is what params.yaml says about all this.
"""
