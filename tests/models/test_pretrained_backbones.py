import json
import socket

import pytest
import torch

from onesheet.errors import ConfigError
from onesheet.models import build_network
from onesheet.models.network import IMAGENET_MEAN, IMAGENET_STD

transformers = pytest.importorskip("transformers")

SIZE = (64, 48)
ATTENTION = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PATCHES = {**ATTENTION, "image_size": 32, "patch_size": 8}
TEXT = {**ATTENTION, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}

# family -> (configuration, embedding size, has evidence)
FAMILIES = {
    "resnet": (
        lambda: transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
        16,
        True,
    ),
    "mobilenet_v1": (lambda: transformers.MobileNetV1Config(depth_multiplier=0.1), 102, True),
    "mobilenet_v2": (
        lambda: transformers.MobileNetV2Config(depth_multiplier=0.1, finegrained_output=False),
        128,
        True,
    ),
    "convnextv2": (
        lambda: transformers.ConvNextV2Config(hidden_sizes=[8, 16, 16, 24], depths=[1, 1, 1, 1]),
        24,
        True,
    ),
    "efficientnet": (
        lambda: transformers.EfficientNetConfig(
            width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128, initializer_range=0.3
        ),
        128,
        True,
    ),
    "vit": (lambda: transformers.ViTConfig(**PATCHES), 16, False),
    "dinov2": (
        lambda: transformers.Dinov2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
        ),
        16,
        False,
    ),
    "swinv2": (
        lambda: transformers.Swinv2Config(image_size=64, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4),
        16,
        False,
    ),
    "siglip": (lambda: transformers.SiglipConfig(vision_config=PATCHES, text_config=TEXT), 16, False),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Family -> a folder as save_pretrained writes it, with random weights."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    folders = {}
    for family, (config, _, _) in FAMILIES.items():
        folders[family] = tmp_path_factory.mktemp(family)
        transformers.AutoModel.from_config(config()).save_pretrained(folders[family])
    transformers.utils.logging.enable_progress_bar()
    return folders


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def reject(*_, **__):
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", reject)
    monkeypatch.setattr(socket, "getaddrinfo", reject)


def settle(network):
    """Eval mode with the batch norm statistics of a batch: random weights else answer a constant."""
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(8, 3, *network.size))
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum
    return network.eval()


@pytest.mark.parametrize("levels", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_and_embeds(folders, family, levels):
    _, embedding_size, has_evidence = FAMILIES[family]
    torch.manual_seed(0)
    network = build_network(f"hf:{folders[family]}", genres=3, size=SIZE, levels=levels)
    assert bool(network.backbone.levels) == (levels and has_evidence)
    assert network.training
    network(torch.rand(4, 3, *SIZE)).logits.square().sum().backward()
    idle = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert idle <= {"backbone.model.embeddings.mask_token"}

    with torch.no_grad():
        posters = torch.rand(2, 3, *SIZE)
        output = settle(network)(posters)
    assert output.logits.shape == (2, 3)
    assert output.embedding.shape == (2, network.embedding_size)
    assert (network.embedding_size > embedding_size) == bool(network.backbone.levels)
    assert levels or network.embedding_size == embedding_size
    assert float((output.embedding[0] - output.embedding[1]).abs().max()) > 1e-6
    assert network.has_evidence == has_evidence == (output.evidence is not None)
    if has_evidence:
        torch.nn.init.normal_(network.head[-1].weight)
        torch.nn.init.normal_(network.head[-1].bias)
        with torch.no_grad():
            output = network(posters)
        assert output.evidence.shape[:2] == (2, 3)
        assert float(output.evidence[0, 0].std()) > 0
        torch.testing.assert_close(
            output.evidence.mean((2, 3)) + network.head[-1].bias, output.logits, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("family", ["resnet", "convnextv2", "efficientnet", "dinov2", "swinv2", "siglip"])
def test_the_embedding_is_the_librarys_pooled_vector(folders, family):
    network = settle(build_network(f"hf:{folders[family]}", genres=3, size=SIZE, levels=False, tta=False))
    posters = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        normalised = (posters - network.mean) / network.std
        options = {"interpolate_pos_encoding": True} if family in ("swinv2", "siglip") else {}
        pooled = network.backbone.model(pixel_values=normalised, **options).pooler_output
        torch.testing.assert_close(network(posters).embedding, pooled.flatten(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "convnextv2"])
def test_levels_add_the_mean_and_deviation_of_every_levels_channels(folders, family):
    network = settle(build_network(f"hf:{folders[family]}", genres=3, size=SIZE, tta=False))
    posters = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        normalised = (posters - network.mean) / network.std
        shown = network.backbone.model(pixel_values=normalised, output_hidden_states=True)
        maps = {state.shape[1:]: state for state in shown.hidden_states}  # the last of each shape
        maps.pop(shown.last_hidden_state.shape[1:], None)
        expected = [network.backbone.pooled(shown)]
        for state in maps.values():
            expected += [state.mean((2, 3)), (state.var((2, 3), correction=0) + 1e-5).sqrt()]
        embedding = network(posters).embedding
        alone, nothing = network.backbone(normalised)
    torch.testing.assert_close(alone, embedding, rtol=1e-4, atol=1e-4)
    assert nothing is None  # no maps of the levels where there is to be no evidence
    assert len(maps) > 1 or family == "resnet"
    torch.testing.assert_close(embedding, torch.cat(expected, 1), rtol=1e-3, atol=2e-3)


def test_vit_is_read_at_its_first_token_and_works_at_its_own_size(folders):
    network = build_network(f"hf:{folders['vit']}", genres=3, size=(32, 32), tta=False).eval()
    assert network.backbone.options == {}
    reference = transformers.ViTModel.from_pretrained(folders["vit"], add_pooling_layer=False).eval()
    posters = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        state = reference((posters - network.mean) / network.std).last_hidden_state
        torch.testing.assert_close(network(posters).embedding, state[:, 0])


def test_weights_come_from_the_folder_and_stay_out_on_request(folders):
    source = f"hf:{folders['resnet']}"
    first, second = (build_network(source, genres=2, size=SIZE).backbone.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    empty = build_network(source, genres=2, size=SIZE, pretrained=False)
    assert not torch.equal(next(iter(empty.backbone.parameters())), next(iter(first.values())))
    empty.backbone.load_state_dict(first)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_network_takes_the_checkpoint_of_a_full_one(folders, family):
    full = settle(build_network(f"hf:{folders[family]}", genres=2, size=SIZE))
    empty = build_network(f"hf:{folders[family]}", genres=2, size=SIZE, pretrained=False).eval()
    empty.load_state_dict(full.state_dict())
    assert empty.has_evidence == full.has_evidence
    posters = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(empty(posters).logits, full(posters).logits)


def test_trying_the_size_leaves_the_statistics_alone(folders):
    source = folders["mobilenet_v2"]
    network = build_network(f"hf:{source}", genres=2, size=SIZE, pretrained=True)
    reference = transformers.AutoModel.from_pretrained(source).state_dict()
    found = network.backbone.model.state_dict()
    assert all(torch.equal(found[name], reference[name]) for name in reference)


@pytest.mark.parametrize("family", ["mobilenet_v1", "mobilenet_v2", "efficientnet"])
def test_batch_norm_does_not_carry_tensorflows_momentum(folders, family):
    network = build_network(f"hf:{folders[family]}", genres=2, size=SIZE)
    momenta = {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}


def test_half_precision_checkpoints_are_read_as_float32(folders, tmp_path):
    model = transformers.AutoModel.from_pretrained(folders["resnet"], dtype=torch.bfloat16)
    model.save_pretrained(tmp_path)
    network = build_network(f"hf:{tmp_path}", genres=2, size=SIZE)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "settings", "mean", "std"),
    [
        (None, {}, IMAGENET_MEAN, IMAGENET_STD),
        (
            "preprocessor_config.json",
            {"image_mean": [0.5] * 3, "image_std": [0.25] * 3},
            [0.5] * 3,
            [0.25] * 3,
        ),
        ("preprocessor_config.json", {"do_normalize": False, "image_mean": [0.5] * 3}, [0.0] * 3, [1.0] * 3),
        ("preprocessor_config.json", {"size": 224}, IMAGENET_MEAN, IMAGENET_STD),
        # EfficientNet's processor divides by the deviation twice.
        (
            "preprocessor_config.json",
            {"include_top": True, "image_std": [0.5] * 3},
            IMAGENET_MEAN,
            [0.25] * 3,
        ),
        ("processor_config.json", {"image_processor": {"image_mean": [0.1] * 3}}, [0.1] * 3, IMAGENET_STD),
    ],
)
def test_normalisation_follows_the_folders_image_processor(tmp_path, name, settings, mean, std):
    FAMILIES["resnet"][0]().save_pretrained(tmp_path)
    if name:
        (tmp_path / name).write_text(json.dumps(settings))
    network = build_network(f"hf:{tmp_path}", genres=2, size=SIZE, pretrained=False)
    torch.testing.assert_close(network.mean.flatten(), torch.tensor(mean))
    torch.testing.assert_close(network.std.flatten(), torch.tensor(std))


def test_efficientnets_processor_does_divide_twice():
    image = torch.rand(3, 8, 8)
    processor = transformers.models.efficientnet.image_processing_pil_efficientnet.EfficientNetImageProcessorPil(
        do_resize=False, do_rescale=False, image_mean=[0.4] * 3, image_std=[0.5] * 3
    )
    seen = processor(image.numpy(), return_tensors="pt", input_data_format="channels_first")["pixel_values"][0]
    torch.testing.assert_close(seen, (image - 0.4) / 0.25)


def write(folder, **config):
    (folder / "config.json").write_text(json.dumps(config))


def test_what_cannot_be_loaded_is_said_in_one_line_with_the_cure(folders, tmp_path):
    def rejected(source, size=SIZE):
        with pytest.raises(ConfigError) as caught:
            build_network(f"hf:{source}", genres=2, size=size)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def case(name):
        (tmp_path / name).mkdir()
        return tmp_path / name

    assert "no such folder" in rejected(tmp_path / "missing")
    assert "no such folder" in rejected("./missing")
    assert "no config.json" in rejected(case("bare"))

    folder = case("pickled")
    write(folder, **FAMILIES["resnet"][0]().to_dict())
    (folder / "pytorch_model.bin").write_bytes(b"x")
    assert "only safetensors are read" in rejected(folder)

    (folder / "model.safetensors").write_bytes((folders["resnet"] / "model.safetensors").read_bytes()[:500])
    assert "cannot load" in rejected(folder)
    (folder / "model.safetensors").write_bytes((folders["vit"] / "model.safetensors").read_bytes())
    assert "weights are missing from" in rejected(folder)
    (folder / "config.json").write_text("{")
    assert "cannot load" in rejected(folder)

    folder = case("processor")
    write(folder, **FAMILIES["resnet"][0]().to_dict())
    (folder / "model.safetensors").write_bytes((folders["resnet"] / "model.safetensors").read_bytes())
    (folder / "preprocessor_config.json").write_text("{")
    assert "cannot load" in rejected(folder)

    folder = case("text")
    transformers.AutoModel.from_config(transformers.BertConfig(**TEXT)).save_pretrained(folder)
    assert "'bert' model, which reads no images" in rejected(folder)

    folder = case("remote")
    write(folder, model_type="own", auto_map={"AutoConfig": "code.Own", "AutoModel": "code.Own"})
    (folder / "code.py").write_text("raise SystemExit('remote code ran')")
    (folder / "model.safetensors").write_bytes(b"")
    assert "needs code of its own, which is never run" in rejected(folder)
    write(folder, model_type="no-such-type")
    assert "of no type that transformers knows" in rejected(folder)

    assert "does not take posters of 8×8" in rejected(folders["dinov2"], size=(8, 8))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "We couldn't connect to 'https://huggingface.co' to load the files.\nCheck.",
            "check the name and the conn",
        ),
        ("a/b does not appear to have a file named model.safetensors", "only safetensors are read"),
    ],
)
def test_a_hub_name_that_cannot_be_had(monkeypatch, raised, said):
    def fail(*_, **options):
        assert options["trust_remote_code"] is False
        raise OSError(raised)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", fail)
    with pytest.raises(ConfigError, match=said) as caught:
        build_network("hf:some/backbone", genres=2, size=SIZE)
    assert "\n" not in str(caught.value)


def test_the_library_is_silent_and_gets_its_voice_back(folders, capfd):
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    build_network(f"hf:{folders['siglip']}", genres=2, size=SIZE)
    assert capfd.readouterr() == ("", "")
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before
