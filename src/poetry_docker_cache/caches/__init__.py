"""Where build cache is kept between machines: what a user may write, and what BuildKit gets."""
