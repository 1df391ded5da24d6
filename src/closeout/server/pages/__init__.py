"""The pages and the JSON API: what they show, who may see it, and what a visitor can do there."""
