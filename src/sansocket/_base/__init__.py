"""What all layers stand on."""
