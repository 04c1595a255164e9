"""Browser components: JavaScript beside a thin Python wrapper."""
