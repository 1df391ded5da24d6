"""The engines that implement `ports.Durable`: their run functions survive the death of the process.

Import from the modules: a worker on AWS, which starts cold, does not need the engine of one machine.
"""
