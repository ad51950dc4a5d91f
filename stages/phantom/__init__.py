"""Stage `phantom`: short-axis infant spine cine clips, their label workbook and their truth, from a seed."""
