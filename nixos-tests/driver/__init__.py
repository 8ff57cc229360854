"""Runs scenarios written for the NixOS test driver against a virtual machine of wamr-lab."""
